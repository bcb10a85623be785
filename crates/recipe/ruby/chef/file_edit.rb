# frozen_string_literal: true

class Chef
  module Util
    # Edits a file by patterns. Nothing is written before write_file.
    class FileEdit
      def initialize(path)
        @path = path
        raise ArgumentError, "File '#{path}' does not exist" unless File.exist?(path)

        @lines = File.read(path).lines
        raise ArgumentError, "File '#{path}' is blank" if @lines.empty? && !File.exist?(path)

        @changed = false
      end

      attr_reader :lines

      def unwritten_changes? = @changed
      alias file_edited? unwritten_changes?

      def search_file_replace_line(pattern, line) = edit { |text| text.match?(regex(pattern)) ? [ended(line)] : [text] }
      def search_file_replace(pattern, text) = edit { |line| [line.gsub(regex(pattern), text)] }
      def search_file_delete_line(pattern) = edit { |line| line.match?(regex(pattern)) ? [] : [line] }
      def search_file_delete(pattern) = search_file_replace(pattern, '')
      def insert_line_after_match(pattern, new) = edit { |line| line.match?(regex(pattern)) ? [ended(line), ended(new)] : [line] }

      def insert_line_if_no_match(pattern, line)
        return if @lines.any? { |text| text.match?(regex(pattern)) }

        @lines[-1] = ended(@lines[-1]) if @lines[-1]
        @lines << ended(line)
        @changed = true
      end

      def write_file
        return unless @changed

        FileUtils.cp(@path, "#{@path}.old", preserve: true)
        File.write(@path, @lines.join)
        @changed = false
      end

      private

      def regex(pattern) = pattern.is_a?(Regexp) ? pattern : Regexp.new(pattern)
      def ended(line) = line.end_with?("\n") ? line : "#{line}\n"

      def edit(&block)
        lines = @lines.flat_map(&block)
        @changed ||= lines != @lines
        @lines = lines
      end
    end
  end
end
