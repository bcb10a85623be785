# frozen_string_literal: true

name 'central_manager'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
