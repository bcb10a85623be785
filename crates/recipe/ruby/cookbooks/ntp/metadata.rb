# frozen_string_literal: true

name 'ntp'
version '8.0.0'
