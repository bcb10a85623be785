# frozen_string_literal: true

# What went wrong, for people: where in the recipe, and what.
class << Jetpack
  # As JSON for the host: class, message, the first line of a cookbook that has to do with it, and the resource.
  def failure(error, resource = nil)
    lines = (error.backtrace || []).reject { |line| line.start_with?('/__ruby__/', '<internal:', 'eval:', '-e:', 'jetpack:') }
    place = lines.first
    place ||= syntax_place(error)
    { 'class' => error.class.name, 'message' => message_of(error), 'place' => place&.sub(/:in .*\z/, ''),
      'resource' => resource&.to_s, 'declared' => resource&.source_line, 'backtrace' => lines.first(30),
      'recipe' => resource && "#{resource.cookbook_name}::#{resource.recipe_name}" }
  end

  def message_of(error)
    message = error.respond_to?(:original_message) ? error.original_message : error.message
    message = message.to_s.dup.force_encoding('UTF-8').scrub
    cause = error.cause
    cause && !message.include?(cause.message.to_s) && error.is_a?(Chef::Exceptions::ChildConvergeError) ? "#{message}: #{cause.message}" : message
  rescue StandardError
    error.class.name
  end

  private

  def syntax_place(error)
    error.is_a?(SyntaxError) ? error.message[%r{\A(/[^:\n]+:\d+)}, 1] : nil
  end
end
