# frozen_string_literal: true

name 'ark'
version '8.0.0'
