# frozen_string_literal: true

name 'chocolatey'
version '8.0.0'
