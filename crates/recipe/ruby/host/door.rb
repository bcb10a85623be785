# frozen_string_literal: true

# The one door of Ruby to the host. A request is JSON `[operation, arguments]`, an answer `{"r": value}` or
# `{"e": [class, message]}`; bytes that are no JSON follow after a NUL, in both directions.
module Jetpack
  ERRNO = Errno.constants.filter_map { |name| (k = Errno.const_get(name)).is_a?(Class) && ["Errno::#{name}", k] }.to_h.freeze

  class << self
    # Asks the host. Returns the value, and the bytes too if there were some in either direction.
    def call(operation, arguments = nil, bytes = nil)
      request = JSON.generate([operation, arguments])
      request = "#{request}\0".b << bytes.b if bytes
      answer = JS.eval(request).to_s
      if (at = answer.byteindex("\0"))
        raw = answer.byteslice(at + 1..)
        answer = answer.byteslice(0, at)
      end
      answer = JSON.parse(answer)
      fail_with(*answer['e']) if answer.key?('e')
      bytes || raw ? [answer['r'], raw] : answer['r']
    end

    def fail_with(name, message)
      klass = ERRNO[name] || name.split('::').reduce(Object) { |scope, part| scope.const_get(part) }
      raise klass, message, caller(3)
    rescue NameError
      raise RuntimeError, message, caller(4)
    end

    def path(value) = File.expand_path(value.respond_to?(:to_path) ? value.to_path : value.to_str)

    # Bytes of memory that Ruby has.
    def memory = JS.eval('memory').to_s.to_i
  end
end
