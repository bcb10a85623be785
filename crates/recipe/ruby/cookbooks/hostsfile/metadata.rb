# frozen_string_literal: true

name 'hostsfile'
version '8.0.0'
