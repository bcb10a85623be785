# frozen_string_literal: true

name 'samba'
version '8.0.0'
