# frozen_string_literal: true

# The log, as recipes know it. Every call returns true: `select { Chef::Log.info(...) }` is found in public cookbooks.
class Chef
  VERSION = '18.8.11'

  module Log
    LEVELS = %i[trace debug info warn error fatal].freeze
    class << self
      LEVELS.each do |level|
        define_method(level) do |message = nil, &block|
          write(level, block ? block.call : message)
        end
        define_method(:"#{level}?") { LEVELS.index(level) >= LEVELS.index(self.level) }
      end

      def level = @level || :info
      def level=(level)
        @level = level.to_sym
      end

      def write(level, message)
        Jetpack.call('log', [level, message.to_s]) if LEVELS.index(level) >= LEVELS.index(self.level)
        true
      end

      def init(*) = true
      attr_writer :formatter
      def deprecation(message, *) = Chef.deprecated(:generic, message)
    end
  end

  @warned = {}
  class << self
    # Says once that something is gone from Ruby or from Chef and still works here.
    def deprecated(what, message)
      return if @warned[[what, message]]

      @warned[[what, message]] = true
      Log.warn(message)
    end
  end
end
