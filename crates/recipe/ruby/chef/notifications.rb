# frozen_string_literal: true

class Chef
  # That an action of a resource is wanted when another one was updated.
  class Notice
    TIMINGS = { before: :before, immediate: :immediately, immediately: :immediately, delayed: :delayed }.freeze
    attr_reader :source, :action, :target, :timing
    alias resource target
    alias notifying_resource source

    def self.timing(value)
      TIMINGS.fetch(value.to_s.to_sym) do
        raise ArgumentError, "invalid timing: #{value}; must be one of: delayed, immediate, immediately, before"
      end
    end

    def initialize(source, action, target, timing) = (@source, @action, @target, @timing = source, action, target, timing)

    # The resource, looked up when it is needed: it may be declared later than the notice.
    def resolve(context) = @target.is_a?(Resource) ? @target : (@resolved ||= context.lookup(@target))
  end
end
