# frozen_string_literal: true

name 'windows'
version '8.0.0'
