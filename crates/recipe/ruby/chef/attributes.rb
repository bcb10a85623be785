# frozen_string_literal: true

class Chef
  class Node
    # One level of attributes. Reading what is not there makes it, so that `default['a']['b'] = 1` works; every writing tells the
    # node which of its top keys has changed.
    class VividMash < Mash
      def initialize(node, top = nil, source = nil)
        super()
        @node = node
        @top = top
        # Whoever puts this in its place says what has changed.
        source&.each_pair do |key, value|
          key = convert_key(key)
          regular_writer(key, vivid(value, top || key))
        end
      end

      def [](key)
        key = convert_key(key)
        return regular_reader(key) if key?(key)

        regular_writer(key, VividMash.new(@node, @top || key))
      end

      def []=(key, value)
        key = convert_key(key)
        @node.changed(@top || key)
        regular_writer(key, vivid(value, @top || key))
      end
      alias store []=

      def update(*others)
        others.each { |other| other.each_pair { |key, value| self[key] = value } }
        self
      end
      alias merge! update

      def dig(*path) = path.reduce(self) { |value, key| Node.step(value, key) { return nil } }
      alias read dig
      def read!(*path) = path.reduce(self) { |value, key| Node.step(value, key) { raise NoSuchAttribute, path.join('.') } }
      def exist?(*path) = path.reduce(self) { |value, key| Node.step(value, key) { return false } } && true
      def attribute?(key) = key?(key)

      def write(*path, last, value) = path.reduce(self) { |mash, key| mash[key] }.store(last, value)
      alias write! write

      def unlink(*path, last)
        place = path.empty? ? self : dig(*path)
        place.is_a?(Hash) ? place.delete(last) : nil
      end
      alias unlink! unlink

      %i[delete clear delete_if reject! select! keep_if compact! shift replace transform_values!].each do |name|
        define_method(name) do |*arguments, &block|
          @top ? @node.changed(@top) : @node.all_changed
          super(*arguments, &block)
        end
      end

      # `default.foo.bar = 1`, from before Chef 13.
      def method_missing(name, *arguments)
        if name.end_with?('=')
          self[name.to_s.chomp('=')] = arguments[0]
        elsif arguments.empty? && !name.end_with?('?', '!')
          self[name]
        else
          super
        end
      end

      def respond_to_missing?(name, _all = false) = !name.start_with?('to_') && !name.end_with?('?', '!')

      private

      def vivid(value, top)
        case value
        when VividMash, Hash then VividMash.new(@node, top, value)
        when Array then value.instance_of?(Array) ? value.map { |inner| inner.is_a?(Hash) ? Mash.new(inner) : inner } : value.to_a
        else value
        end
      end
    end

    # Writes only where nothing is yet: `default_unless['a'] = 1`.
    class Unless
      def initialize(level, node, path = []) = (@level, @node, @path = level, node, path)
      def [](key) = Unless.new(@level, @node, @path + [key])
      def []=(key, value)
        path = @path + [key]
        @level.write(*path, value) unless @node.exist?(*path)
      end

      def method_missing(name, *arguments)
        name.end_with?('=') ? self[name.to_s.chomp('=')] = arguments[0] : self[name]
      end

      def respond_to_missing?(*) = true
    end

    # All levels of a node, from weak to strong, and what they come to.
    module Attributes
      DEFAULTS = %i[default env_default role_default force_default].freeze
      OVERRIDES = %i[override role_override env_override force_override].freeze
      LEVELS = [*DEFAULTS, :normal, *OVERRIDES, :automatic].freeze

      def setup_attributes
        @levels = LEVELS.to_h { |level| [level, VividMash.new(self)] }
        @merged = {}
      end

      LEVELS.each { |level| define_method(level) { @levels[level] } }
      alias set_normal normal
      %i[default normal override].each do |level|
        define_method(:"#{level}_unless") { Unless.new(@levels[level], self) }
        define_method(:"#{level}!") { |*path, value| @levels[level].write(*path, value) }
        define_method(:"#{level}=") { |value| @levels[level].replace(value) }
        define_method(:"rm_#{level}") do |*path|
          group = level == :default ? DEFAULTS : level == :override ? OVERRIDES : [:normal]
          group.map { |name| @levels[name].unlink(*path) }.compact.last
        end
      end
      def force_default!(*path, value) = clear_below(DEFAULTS, path) && force_default.write(*path, value)
      def force_override!(*path, value) = clear_below(OVERRIDES, path) && force_override.write(*path, value)
      def rm(*path) = LEVELS.map { |level| @levels[level].unlink(*path) }.compact.last

      def set
        Chef.deprecated(:node_set, '`node.set` is gone since Chef 14; write `node.normal`')
        normal
      end

      def set_unless
        Chef.deprecated(:node_set, '`node.set_unless` is gone since Chef 14; write `node.normal_unless`')
        normal_unless
      end

      def changed(key) = @merged.delete(key)
      def all_changed = @merged.clear

      def [](key)
        key = key.name if key.is_a?(Symbol)
        return @merged[key] if @merged.key?(key)
        return nil unless @levels.any? { |_, level| level.key?(key) }

        @merged[key] = merge_key(key)
      end

      # The whole tree.
      def merged_attributes
        keys = @levels.values.flat_map(&:keys).uniq
        ImmutableMash.build(keys.to_h { |key| [key, self[key]] })
      end
      alias attributes merged_attributes

      # The value at each level, for people who wonder.
      def debug_value(*path) = LEVELS.map { |level| [level.to_s, @levels[level].exist?(*path) ? @levels[level].read(*path) : :not_present] }

      private

      NOTHING = Object.new.freeze
      private_constant :NOTHING

      def clear_below(levels, path) = levels.each { |level| @levels[level].unlink(*path) }

      def merge_key(key)
        defaults = DEFAULTS.reduce(NOTHING) { |sum, level| deep(sum, at(level, key)) }
        overrides = OVERRIDES.reduce(NOTHING) { |sum, level| deep(sum, at(level, key)) }
        merged = [at(:normal, key), overrides, at(:automatic, key)].reduce(defaults) { |sum, value| hashes(sum, value) }
        freeze_tree(merged)
      end

      def at(level, key) = (mash = @levels[level]).key?(key) ? mash.regular_reader(key) : NOTHING

      # Within a group of levels arrays are joined.
      def deep(weak, strong)
        return weak if strong.equal?(NOTHING)
        return strong if weak.equal?(NOTHING)
        return weak | strong if weak.is_a?(Array) && strong.is_a?(Array)
        return strong unless weak.is_a?(Hash) && strong.is_a?(Hash)

        join(weak, strong) { |a, b| deep(a, b) }
      end

      # Between groups only hashes are merged.
      def hashes(weak, strong)
        return weak if strong.equal?(NOTHING)
        return strong if weak.equal?(NOTHING)
        return strong unless weak.is_a?(Hash) && strong.is_a?(Hash)

        join(weak, strong) { |a, b| hashes(a, b) }
      end

      def join(weak, strong)
        sum = {}
        weak.each_pair { |key, value| sum[key] = value }
        strong.each_pair { |key, value| sum[key] = sum.key?(key) ? yield(sum[key], value) : value }
        sum
      end

      def freeze_tree(value)
        case value
        when Hash then ImmutableMash.build(value.to_a.each { |pair| pair[1] = freeze_tree(pair[1]) })
        when Array then value.map { |inner| freeze_tree(inner) }.freeze
        else value
        end
      end
    end
  end
end
