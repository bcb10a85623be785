# frozen_string_literal: true

name 'apt'
version '8.0.0'
