# frozen_string_literal: true

name 'line'
version '8.0.0'
