# frozen_string_literal: true

name 'jdk'
version '8.0.0'
depends 'cyclecloud'
