# frozen_string_literal: true

name 'scheduler'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
