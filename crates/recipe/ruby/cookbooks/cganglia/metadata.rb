# frozen_string_literal: true

name 'cganglia'
version '8.0.0'
