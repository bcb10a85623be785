# frozen_string_literal: true

# Values as templates write them.
module CycleCloudConfiguration
  class << self
    # `true`, `"True"`, `1`.
    def true?(value) = %w[true 1 yes].include?(value.to_s.downcase)

    # A list, a text with commas, or one thing.
    def list(value) = value.is_a?(String) ? value.split(',').map(&:strip).reject(&:empty?) : Array(value).map(&:to_s)

    # The sections below a key, over what is there for all, by their order: 1000 for those that have none, 0 for the disks that come with
    # the machine.
    def sections(tree, defaults = nil)
      named = (tree || {}).select { |_, section| section.is_a?(Hash) }
      named = named.map { |name, section| [name, Mash.new((defaults || {}).to_h).merge(section.to_h)] }
      named.sort_by.with_index do |(name, section), index|
        [section['order'].to_s[/\A\d+\z/]&.to_i || (name == 'ephemeral' ? 0 : 1000), index]
      end
    end

    # The name that a machine has by its address: `ip-0A000004`.
    def name_of(address) = format('ip-%02X%02X%02X%02X', *address.split('.').map(&:to_i))

    MARKS = ['# BEGIN cyclecloud.hosts.standalone_dns', '# END cyclecloud.hosts.standalone_dns'].freeze

    # A hosts file with these lines in their own part of it. What others wrote stays as it is.
    def hosts(text, lines)
      part = lines.empty? ? '' : "#{MARKS[0]}\n#{lines.join("\n")}\n#{MARKS[1]}\n"
      ours = /^#{Regexp.escape(MARKS[0])}\n.*?^#{Regexp.escape(MARKS[1])}(\n|\z)/m
      return text.sub(ours) { part } if text.match?(ours)

      text += "\n" unless text.empty? || text.end_with?("\n")
      text + part
    end
  end
end
