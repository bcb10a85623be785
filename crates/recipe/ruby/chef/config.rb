# frozen_string_literal: true

class Chef
  # Settings, by method and by key.
  class Config
    @values = {}
    class << self
      def [](key) = @values[key.to_sym]
      def []=(key, value)
        @values[key.to_sym] = value
      end

      def key?(key) = @values.key?(key.to_sym)
      def fetch(key, *default, &) = @values.fetch(key.to_sym, *default, &)
      def to_hash = @values.dup
      def merge!(values) = values.each { |key, value| self[key] = value }

      def method_missing(name, *arguments)
        return self[name.to_s.chomp('=')] = arguments[0] if name.end_with?('=') || !arguments.empty?

        self[name]
      end

      def respond_to_missing?(*) = true
    end
  end

  # What cookbooks may keep between runs.
  module FileCache
    class << self
      def root = Chef::Config[:file_cache_path]
      def path(name) = File.join(root, name)
      def has_key?(name) = File.exist?(path(name))
      alias key? has_key?

      def store(name, content, mode = 0o640)
        FileUtils.mkdir_p(File.dirname(path(name)))
        File.write(path(name), content, perm: mode)
      end

      def load(name, read = true) = read ? File.read(path(name)) : path(name)
      def delete(name) = FileUtils.rm_f(path(name))
    end
  end

  class JSONCompat
    class << self
      def from_json(text, **) = JSON.parse(text)
      alias parse from_json
      def to_json(object, *) = JSON.generate(object)
      def to_json_pretty(object, *) = JSON.pretty_generate(object)
    end
  end
end
