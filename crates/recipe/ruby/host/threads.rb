# frozen_string_literal: true

module Jetpack
  # There are no threads in this build: the block runs at once, and its value is there afterwards.
  class Thread
    attr_accessor :report_on_exception, :abort_on_exception, :name

    def initialize(*arguments)
      @locals = {}
      @value = yield(*arguments)
    rescue StandardError => e
      @error = e
    end

    def join(*) = @error ? raise(@error) : self
    def value = join && @value
    def alive? = false
    def status = @error ? nil : false
    def kill = self
    alias exit kill
    def wakeup = self
    def [](key) = @locals[key.to_sym]
    def []=(key, value)
      @locals[key.to_sym] = value
    end
    alias thread_variable_get []
    alias thread_variable_set []=
  end
end

class Thread
  class << self
    def new(...) = Jetpack::Thread.new(...)
    alias start new
    alias fork new
  end
end

# Bounds what the host does: commands and sleep. Ruby code that never asks the host is not interrupted.
module Timeout
  def self.timeout(seconds, klass = nil, message = nil)
    return yield(seconds) if seconds.nil? || seconds.zero?

    Jetpack::Deadline.push(seconds)
    begin
      result = yield(seconds)
      raise Timeout::Error, 'execution expired' if Jetpack::Deadline.expired?

      result
    rescue Timeout::Error => e
      raise klass ? klass.new(message || e.message) : e
    ensure
      Jetpack::Deadline.pop
    end
  end

  def timeout(...) = Timeout.timeout(...)
end
