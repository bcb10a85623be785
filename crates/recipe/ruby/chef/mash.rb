# frozen_string_literal: true

# A Hash whose keys are strings and may be given as symbols.
class Mash < Hash
  def self.from_hash(hash) = new(hash)

  def initialize(source = nil)
    super()
    case source
    when Hash then update(source)
    when nil then nil
    else self.default = source
    end
  end

  alias regular_writer []=
  alias regular_update update
  alias regular_reader []

  def [](key) = super(convert_key(key))
  def []=(key, value)
    super(convert_key(key), convert_value(value))
  end
  alias store []=

  def update(*others)
    others.each do |other|
      other.each_pair do |key, value|
        key = convert_key(key)
        value = yield(key, self[key], value) if block_given? && key?(key)
        regular_writer(key, convert_value(value))
      end
    end
    self
  end
  alias merge! update

  def key?(key) = super(convert_key(key))
  alias include? key?
  alias has_key? key?
  alias member? key?
  def fetch(key, ...) = super(convert_key(key), ...)
  def values_at(*keys) = keys.map { |key| self[key] }
  def dig(key, *rest) = (value = self[key]).nil? || rest.empty? ? value : value.dig(*rest)
  def delete(key, &) = super(convert_key(key), &)
  def except(*keys) = dup.tap { |mash| keys.each { |key| mash.delete(key) } }
  def slice(*keys) = keys.each_with_object(self.class.new) { |key, mash| mash[key] = self[key] if key?(key) }
  def merge(*others, &) = dup.update(*others, &)
  def replace(other) = clear.update(other)
  def dup = Mash.new(self)
  alias clone dup
  def to_mash = self
  def stringify_keys! = self
  def symbolize_keys = to_hash.transform_keys(&:to_sym)
  def to_hash = each_with_object({}) { |(key, value), hash| hash[key] = Mash.plain(value) }
  alias to_h_without_block to_hash
  def to_h(&block) = block ? super : to_hash

  # Hashes and arrays of the standard kinds, all the way down.
  def self.plain(value)
    case value
    when Hash then value.each_with_object({}) { |(key, inner), hash| hash[key] = plain(inner) }
    when Array then value.map { |inner| plain(inner) }
    else value
    end
  end

  def convert_key(key) = key.is_a?(Symbol) ? key.name : key

  def convert_value(value)
    if value.instance_of?(Hash) then Mash.new(value)
    elsif value.instance_of?(Array) then value.map { |inner| convert_value(inner) }
    else value
    end
  end
end

class Hash
  def to_mash = Mash.new(self)
end

class Chef
  class Node
    # What the levels of attributes come to; nobody may write to it.
    class ImmutableMash < Mash
      WRITERS = %i[
        []= store update merge! replace clear delete delete_if reject! select! keep_if filter! compact! shift
        transform_values! transform_keys! default= compare_by_identity
      ].freeze
      private_constant :WRITERS

      # How the attributes themselves put it together.
      def self.build(pairs)
        allocate.tap { |mash| pairs.each { |key, value| mash.regular_writer(key, value) } }
      end

      WRITERS.each do |name|
        define_method(name) do |*|
          raise Exceptions::ImmutableAttributeModification,
                'Node attributes are read-only when you do not specify which precedence level to set. ' \
                'To set an attribute use code like `node.default["key"] = "value"\''
        end
      end

      def dup = Mash.new(to_hash)
      alias clone dup
      def read(*path) = path.reduce(self) { |value, key| Node.step(value, key) { return nil } }
      def read!(*path) = path.reduce(self) { |value, key| Node.step(value, key) { raise NoSuchAttribute, path.join('.') } }
      def exist?(*path) = path.reduce(self) { |value, key| Node.step(value, key) { return false } } && true
      def attribute?(key) = key?(key)

      # Chef dropped reading by method, and old cookbooks still do it.
      def method_missing(name, *arguments)
        return super unless arguments.empty? && key?(name)

        Chef.deprecated(:method_access, "attribute `#{name}` is read by a method; write ['#{name}']")
        self[name]
      end

      def respond_to_missing?(name, all = false) = key?(name) || super
    end

    class NoSuchAttribute < RuntimeError; end

    # One step on a path of attributes; calls the block when there is none.
    def self.step(value, key)
      case value
      when Hash then value.key?(key) ? value[key] : yield
      when Array then key.is_a?(Integer) && key < value.size ? value[key] : yield
      else yield
      end
    end
  end
end
