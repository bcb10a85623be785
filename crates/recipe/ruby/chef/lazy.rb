# frozen_string_literal: true

class Chef
  # `lazy { … }`: evaluated when the property is read.
  class DelayedEvaluator
    attr_reader :block

    def initialize(block) = @block = block
    def call(*arguments) = @block.call(*arguments)
    def to_proc = @block
  end
end
