# frozen_string_literal: true

name 'users'
version '8.0.0'
