# frozen_string_literal: true

class Chef
  # The object that the code of a recipe runs on.
  class Recipe
    include DSL::Universal
    include DSL::Declaring
    include DSL::Definitions
    attr_reader :cookbook_name, :recipe_name, :run_context
    attr_accessor :params
    attr_accessor :jetpack_file

    def self.parse_recipe_name(name)
      cookbook, recipe = name.to_s.split('::', 2)
      [cookbook.to_sym, recipe || 'default']
    end

    def initialize(cookbook_name, recipe_name, run_context)
      @cookbook_name = cookbook_name
      @recipe_name = recipe_name
      @run_context = run_context
      @params = {}
    end

    def jetpack_place = [@cookbook_name, @recipe_name]
    # A method, so that `return` leaves the recipe.
    def from_file(file)
      @jetpack_file = file
      Jetpack.evaluate(self, file)
    end
    def from_string(code, file = '(recipe)', line = 1) = Jetpack.evaluate_string(self, code, file, line)
    def include_recipe(*names) = run_context.include_recipes(names.flatten, cookbook_name)
    alias require_recipe include_recipe
    def include_attribute(*names) = names.flatten.each { |name| run_context.include_attribute(name, cookbook_name) }
    def to_s = "recipe[#{cookbook_name}::#{recipe_name}]"
    def inspect = to_s
    def cookbook_version = run_context.cookbooks[cookbook_name]

    def method_missing(name, *arguments, **options, &block)
      if Resource::REGISTRY.key?(name)
        return declare_at(name, arguments[0], Chef.line_of_caller, &block)
      end
      if !arguments.empty? && block
        raise Exceptions::NoSuchResourceType.new(Resource.unknown(name), name)
      end
      near = Jetpack.closest(name.to_s, Resource::REGISTRY.keys.map(&:to_s) + methods.map(&:to_s)) if name.size > 3
      raise NoMethodError.new("undefined method or resource `#{name}` in #{self}#{near && "; did you mean `#{near}`?"}", name, arguments)
    end

    def respond_to_missing?(name, all = false) = Resource::REGISTRY.key?(name) || super
  end

  # The object that the code of an attribute file runs on.
  class AttributeFile
    include DSL::Universal

    def initialize(node, cookbook_name, run_context)
      @node = node
      @cookbook_name = cookbook_name
      @run_context = run_context
    end

    attr_reader :node, :cookbook_name, :run_context

    %i[default normal override automatic force_default force_override default_unless normal_unless override_unless set set_unless
       default! normal! override! rm rm_default rm_normal rm_override].each do |name|
      define_method(name) { |*arguments| node.public_send(name, *arguments) }
    end
    def [](key) = node[key]
    def attribute?(key) = node.attribute?(key)
    def include_attribute(*names) = names.flatten.each { |name| run_context.include_attribute(name, cookbook_name) }
    def recipe?(name) = node.recipe?(name)
    def from_file(file) = Jetpack.evaluate(self, file)

    def method_missing(name, ...) = node.respond_to?(name) ? node.public_send(name, ...) : super
    def respond_to_missing?(name, all = false) = node.respond_to?(name, all) || super
  end
end

# Code sees the local variables of the method that evaluates it, so that these methods have none.
class << Jetpack
  # Evaluates a file on an object. `return` in it, also in a block, leaves it.
  def evaluate(*)
    object_of(*).instance_eval(*code_of(*))
  rescue LocalJumpError
    raise unless $!.reason == :return
  end

  # Evaluates a file as the body of a class.
  def evaluate_class(*) = object_of(*).class_eval(*code_of(*))

  # As evaluate, with code that is no file.
  def evaluate_string(*) = object_of(*).instance_eval(*string_of(*))

  def load_library(file)
    call('file', file)
    Kernel.load(file)
  end

  private

  def object_of(object, *) = object
  def string_of(_object, code, name, line) = [code, name, line]

  def code_of(_object, file)
    call('file', file)
    source = File.read(file, encoding: 'UTF-8')
    [source.valid_encoding? ? source : source.scrub, file, 1]
  end
end
