# frozen_string_literal: true

name 'sge_execute_role'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
