# frozen_string_literal: true

name 'thunderball'
version '8.0.0'
depends 'cyclecloud'
