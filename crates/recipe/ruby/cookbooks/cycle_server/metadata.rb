# frozen_string_literal: true

name 'cycle_server'
version '8.0.0'
