# frozen_string_literal: true

name 'ohai'
version '8.0.0'
