# frozen_string_literal: true

module Jetpack
  # How a process ended, also what `$?` says.
  class Status < Process::Status
    class << self
      undef_method(:new) if method_defined?(:new, false)
      def make(...) = allocate.tap { |status| status.set(...) }
    end

    def set(pid, code, signal) = (@pid, @code, @signal = pid, code, signal)
    def pid = @pid
    def exitstatus = @code
    def success? = @signal ? nil : @code == 0
    def exited? = @signal.nil?
    def signaled? = !@signal.nil?
    def termsig = @signal
    def stopped? = false
    def coredump? = false
    def to_i = @signal || @code << 8
    def ==(other) = other.is_a?(Integer) ? to_i == other : super
    def to_s = "pid #{@pid} #{@signal ? "SIG #{@signal}" : "exit #{@code}"}"
    def inspect = "#<Process::Status: #{self}>"
  end

  # Limits of Timeout.timeout: what the host runs must end by then.
  module Deadline
    @ends = []
    class << self
      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      def left = @ends.empty? ? nil : [@ends.min - now, 0.001].max
      def push(seconds) = @ends.push(now + seconds)
      def pop = @ends.pop
      def expired? = !@ends.empty? && left <= 0.001
    end
  end
end

$jetpack_status = nil
$jetpack_pid = nil # `$$` is 42 in this build.
alias $? $jetpack_status
alias $CHILD_STATUS $jetpack_status
alias $$ $jetpack_pid
