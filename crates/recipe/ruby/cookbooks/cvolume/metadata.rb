# frozen_string_literal: true

name 'cvolume'
version '8.0.0'
depends 'cyclecloud'
