# frozen_string_literal: true

name 'cshared'
version '8.0.0'
depends 'cyclecloud'
