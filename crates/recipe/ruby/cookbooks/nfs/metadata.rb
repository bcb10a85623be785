# frozen_string_literal: true

name 'nfs'
version '8.0.0'
