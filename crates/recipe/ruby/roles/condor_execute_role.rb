# frozen_string_literal: true

name 'condor_execute_role'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
