# frozen_string_literal: true

name 'cluster_init'
version '8.0.0'
