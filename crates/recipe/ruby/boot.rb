# frozen_string_literal: true

# Loaded once when the image is made; the memory is frozen afterwards. Nothing in here may look at the machine that
# builds: what depends on the node - environment, folder, time zone, seeds - is set by Jetpack.boot.
require 'js'
require 'json'
require 'erb'
require 'set'
require 'time'
require 'date'
require 'fileutils'
require 'digest'
require 'digest/sha2'
require 'ostruct'
require 'securerandom'
require 'tempfile'
require 'tmpdir'
require 'shellwords'
require 'etc'
require 'uri'
require 'timeout'
require 'yaml'
require 'pathname'
require 'stringio'
require 'logger'
require 'base64'
require 'forwardable'
require 'singleton'
require 'rbconfig'
require 'rubygems/version'
require 'rubygems/requirement'
require 'pp'
require 'find'
require 'benchmark'
require 'open3'
require 'delegate'

%w[
  host/door host/files host/status host/processes host/users host/time host/threads host/sockets host/https host/lifecycle
  chef/log chef/exceptions chef/config chef/mash chef/attributes chef/node chef/shell_out chef/chef_utils chef/dsl
  chef/lazy chef/property chef/resource chef/provider chef/guard chef/notifications chef/collection chef/builtin
  chef/ruby_resources chef/template chef/cookbook chef/definition chef/recipe chef/run_list chef/run_context chef/data_bag
  chef/file_edit chef/cluster chef/compat chef/errors chef/run
].each { |file| load "/__ruby__/jetpack/#{file}.rb" }
