# frozen_string_literal: true

name 'execute'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
