# frozen_string_literal: true

name 'jetpack'
version '8.0.0'
depends 'cyclecloud'
