# frozen_string_literal: true

name 'yum'
version '8.0.0'
