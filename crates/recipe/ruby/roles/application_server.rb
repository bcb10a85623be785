# frozen_string_literal: true

name 'application_server'
description 'Projects build their roles on it'
run_list 'recipe[cyclecloud]'
