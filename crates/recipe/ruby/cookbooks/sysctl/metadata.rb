# frozen_string_literal: true

name 'sysctl'
version '8.0.0'
