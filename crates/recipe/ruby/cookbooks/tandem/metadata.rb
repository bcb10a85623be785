# frozen_string_literal: true

name 'tandem'
version '8.0.0'
