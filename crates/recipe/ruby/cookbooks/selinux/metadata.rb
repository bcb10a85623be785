# frozen_string_literal: true

name 'selinux'
version '8.0.0'
