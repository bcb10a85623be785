# frozen_string_literal: true

name 'cuser'
version '8.0.0'
depends 'cyclecloud'
