# frozen_string_literal: true

name 'condor_unified_manager'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
