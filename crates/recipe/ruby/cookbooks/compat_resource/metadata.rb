# frozen_string_literal: true

name 'compat_resource'
version '8.0.0'
