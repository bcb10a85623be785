# frozen_string_literal: true

name 'cyclecloud'
version '8.0.0'
