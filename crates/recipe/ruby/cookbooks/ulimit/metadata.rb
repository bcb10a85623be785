# frozen_string_literal: true

name 'ulimit'
version '8.0.0'
