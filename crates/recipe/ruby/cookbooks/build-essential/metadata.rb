# frozen_string_literal: true

name 'build-essential'
version '8.0.0'
