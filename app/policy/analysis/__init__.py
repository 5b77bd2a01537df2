"""What a policy means: explanations, reverse questions, differences, findings and cases."""
