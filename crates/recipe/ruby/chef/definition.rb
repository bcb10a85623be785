# frozen_string_literal: true

class Chef
  module DSL
    # A method for each definition.
    module Definitions
    end
  end

  # `define :site, port: 80 do … end` in `definitions/*.rb` of a cookbook: recipe code with parameters, run where it is called.
  class Definition
    # The object that a file of definitions runs on.
    class File
      include DSL::Universal

      def define(name, defaults = {}, &code)
        raise ArgumentError, "define `#{name}` needs a block" unless code

        Chef::Definition.new(name, defaults, code).add
      end
    end

    # The object that the block of a call runs on: `port 8080` sets a parameter.
    class Arguments
      attr_reader :params

      def initialize(params) = @params = params
      def node = Chef.node
      def method_missing(name, *arguments, &) = @params[name] = arguments.size == 1 ? arguments[0] : arguments
      def respond_to_missing?(*) = true
    end

    def initialize(name, defaults, code)
      @name = name.to_sym
      @defaults = defaults
      @code = code
    end

    def add
      definition = self
      DSL::Definitions.define_method(@name) { |title = nil, &block| definition.call(self, title, &block) }
    end

    # Runs the code as if it stood in the recipe.
    def call(recipe, title, &block)
      params = Mash.new(@defaults)
      params[:name] = title
      Arguments.new(params).instance_exec(&block) if block
      inner = Recipe.new(recipe.cookbook_name, recipe.recipe_name, recipe.run_context)
      inner.params = params
      inner.instance_exec(&@code)
    end
  end
end
