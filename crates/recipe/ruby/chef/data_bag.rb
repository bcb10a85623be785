# frozen_string_literal: true

class Chef
  # Data bags and searches as chef-solo has them: JSON files in folders.
  class DataBag
    class << self
      attr_accessor :folders

      def ids(bag) = files(bag).map { |file| File.basename(file, '.json') }.sort

      def item(bag, id, _secret = nil)
        raise Exceptions::InvalidDataBagItemID, "`#{id}` is no name of an item" unless id.match?(/\A[.\w-]+\z/)

        file = files(bag).reverse.find { |one| File.basename(one, '.json') == id }
        raise Exceptions::InvalidDataBagPath, "there is no item `#{id}` in data bag `#{bag}` (folders: #{folders.join(', ')})" unless file

        json = JSON.parse(File.read(file))
        json = json['raw_data'] if json['raw_data'].is_a?(Hash)
        Mash.new(json)
      end
      alias load ids

      # `*:*` and `key:value`, with AND and OR.
      def search(kind, query, filter_result: nil, **)
        items = case kind
                when 'node' then [Chef.node]
                else ids(kind).map { |id| item(kind, id) }
                end
        found = items.select { |one| Query.new(query).match?(one) }
        if filter_result
          found = found.map { |one| Mash.new(filter_result.to_h { |name, path| [name, path.reduce(one) { |value, key| value.is_a?(Hash) || value.is_a?(Node) ? value[key] : nil }] }) }
        end
        return found.each { |one| yield(one) } if block_given?

        found
      end

      private

      def files(bag)
        raise Exceptions::InvalidDataBagName, "`#{bag}` is no name of a data bag" unless bag.match?(/\A[.\w-]+\z/)

        (folders || []).flat_map { |folder| Dir.glob("#{folder}/#{bag}/*.json") }
      end
    end

    # A query of chef-server's kind, as far as keys and values go.
    class Query
      def initialize(text) = @text = text

      def match?(item) = @text.split(/\s+OR\s+/).any? { |terms| terms.split(/\s+AND\s+/).all? { |term| term?(term.strip, item) } }

      private

      def term?(term, item)
        return !term?(term.delete_prefix('NOT ').delete_prefix('-'), item) if term.start_with?('NOT ', '-')

        key, value = term.split(':', 2)
        raise Exceptions::InvalidSearchQuery, "`#{term}` is no term of a search: write `key:value`" if value.nil?
        return true if key == '*' && value == '*'

        pattern = Regexp.new("\\A#{value.delete('"').split('*', -1).map { |part| part.split('?', -1).map { |one| Regexp.escape(one) }.join('.') }.join('.*')}\\z")
        values(item, key).any? { |one| one.to_s.match?(pattern) }
      end

      def values(item, key)
        return [item.name] if key == 'name' && item.is_a?(Node)
        return [item.chef_environment] if key == 'chef_environment' && item.is_a?(Node)
        return Array(item['recipes']) if %w[recipe recipes].include?(key)
        return Array(item['roles']) if %w[role roles].include?(key)

        found = item[key]
        found = key.split('_').reduce(item) { |value, part| value.is_a?(Hash) || value.is_a?(Node) ? value[part] : nil } if found.nil?
        Array(found)
      end
    end
  end
  DataBagItem = DataBag
  class << DataBag
    def load_item(bag, id) = item(bag, id)
  end

  module Search
    class Query
      def search(kind, query = '*:*', **, &block) = [DataBag.search(kind.to_s, query, &block), 0, 0]
    end
  end
end
