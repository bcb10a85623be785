# frozen_string_literal: true

class Chef
  # What a node is to run: recipes and roles.
  class RunList
    include Enumerable
    Item = Struct.new(:kind, :name, :version) do
      def role? = kind == :role
      def recipe? = kind == :recipe
      def to_s = "#{kind}[#{name}#{version && "@#{version}"}]"
    end

    def self.item(text)
      case text.to_s.strip
      when /\Arecipe\[([^\]@]+)(?:@([^\]]+))?\]\z/ then Item.new(:recipe, $1.strip, $2)
      when /\Arole\[([^\]]+)\]\z/ then Item.new(:role, $1.strip)
      when /\A[\w.-]+(?:::[\w.-]+)?(?:@[\d.]+)?\z/ then Item.new(:recipe, *text.to_s.strip.split('@', 2))
      else raise ArgumentError, "`#{text}` is no item of a run list: write `recipe[NAME]` or `role[NAME]`"
      end
    end

    attr_reader :items

    def initialize(*items) = @items = items.flatten.map { |item| RunList.item(item) }
    def each(&) = @items.each(&)
    def <<(item) = @items << RunList.item(item)
    def include?(item) = @items.map(&:to_s).include?(item.to_s) || @items.map(&:name).include?(item.to_s)
    def recipes = @items.select(&:recipe?).map(&:name)
    alias recipe_names recipes
    def roles = @items.select(&:role?).map(&:name)
    alias role_names roles
    def empty? = @items.empty?
    def to_s = @items.join(', ')
    def to_a = @items.map(&:to_s)
  end

  # A role: attributes and a run list of its own.
  class Role
    attr_reader :file

    def initialize(file_name)
      @name = file_name
      @run_list = RunList.new
      @environments = {}
      @default = {}
      @override = {}
    end

    def self.load(name, folders)
      names = folders.reverse.flat_map { |folder| %w[rb json].map { |ending| File.join(folder, "#{name}.#{ending}") } }
      file = names.find { |one| File.file?(one) }
      unless file
        known = folders.flat_map { |folder| Dir.glob("#{folder}/*.{rb,json}").map { |one| File.basename(one, '.*') } }
        near = Jetpack.closest(name, known)
        raise Exceptions::RoleNotFound, "there is no role `#{name}` in #{folders.empty? ? 'any folder' : folders.map { |one| "`#{one}`" }.join(', ')}#{near && "; did you mean `#{near}`?"}"
      end
      new(name).tap { |role| file.end_with?('.rb') ? Jetpack.evaluate(role, file) : role.from_json(File.read(file)) }
    end

    def from_json(text)
      json = JSON.parse(text)
      @run_list = RunList.new(*json['run_list'].to_a)
      @default = json['default_attributes'] || {}
      @override = json['override_attributes'] || {}
    end

    def name(value = nil) = value ? @name = value : @name
    def description(*) = nil
    def run_list(*items) = items.empty? ? @run_list : @run_list = RunList.new(*items)
    alias recipes run_list
    def env_run_lists(lists = nil) = lists ? @environments = lists.transform_keys(&:to_s) : @environments
    def run_list_for(environment) = @environments.key?(environment) ? RunList.new(*@environments[environment]) : @run_list
    def default_attributes(attributes = nil) = attributes ? @default = attributes : @default
    def override_attributes(attributes = nil) = attributes ? @override = attributes : @override
  end

  # An environment: attributes for all its nodes.
  class Environment < Role
    def cookbook_versions(*) = nil
    def cookbook(*) = nil
    def from_json(text)
      json = JSON.parse(text)
      @default = json['default_attributes'] || {}
      @override = json['override_attributes'] || {}
    end
  end
end
