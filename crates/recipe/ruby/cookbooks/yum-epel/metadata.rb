# frozen_string_literal: true

name 'yum-epel'
version '8.0.0'
